"""The field's own words: what is said on every page, in the report and on the command line, and what is said there no longer.

docs/architecture.md has the words of the code. tests/test_words.py keeps both to it.
"""

# what earlier versions said: what is said now
TERMS = {
    "the middle cut out": "center crop",
    "What is not square": "Non-square images",
    "How the images may lie": "Supported folder layouts",
    "Right by luck": "Correct with low confidence",
    "pixel at a quarter": "pixel at ¼",
    "is taken for": "true → predicted",
    "Set up another": "New run",
    "Change it": "Apply",
    "Taken with the next step": "Applied from the next step",
    "pictures": "images",
    "picture ": "image",
    "judge": "evaluate",
    "Epochs in all": "Total epochs",
    "Least change": "Min. delta",
    "First weights": "Initial weights",
    "Turn upside down": "Vertical flip",
    "Crop to at least": "Random crop, min. area",
    "Follow the curve": "Update learning rate every",
    "Look at the data": "Explore data",
    "It comes undivided": "No predefined split",
    "would spoil the result": "data problems",
    "as well as it goes": "best accuracy",
    "Answer only when sure": "Confidence threshold",
    "Pictures answered": "Coverage",
    "As sure as right": "Reliability diagram",
    "A temperature mends that": "Temperature scaling fixes this",
    "Where it finds the evidence": "Saliency: where it looks",
    "What the first layer looks for": "First-layer filters",
    "Point out a class": "Highlight class",
    "Put in line": "Queued",
    "What happened": "History",
    "says of it": "Prediction of",
}
