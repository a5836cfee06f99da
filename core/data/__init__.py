"""Data sets: what a name stands for, its splits, edits and report. Where images come from is in sources/, how they are kept in
store/, what is done to them in transforms/."""
