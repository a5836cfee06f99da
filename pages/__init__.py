"""The pages, a folder each, over core; shared/ and components/ are what several of them use."""
