"""Words made safe and plain for a page: settings by their titles, and text from outside that only shows."""

import re

from core.errors import InputError
from core.settings import all_settings


def for_people(error: InputError) -> str:
    """Its sentences, with settings called as the forms call them."""
    return in_words(str(error))


def in_words(text: str) -> str:
    """A text with settings called as the forms call them."""
    for item in all_settings():
        text = text.replace(f"{item.path}:", f"{item.title}:")
        if not item.path.isalpha():  # "epochs" and "seed" are words of their own
            text = re.sub(rf"(?<![\w.]){re.escape(item.path)}(?![\w])", f"'{item.title}'", text)
    return text


def escaped(text: str) -> str:
    """Text from outside as Markdown that shows it and does nothing: no links, images, colours or formulas."""
    # Streamlit makes arrows, dashes and icons of what was escaped, too: an invisible joiner within keeps it text
    text = re.sub(r"(?<=[-<>=~])(?=[-<>=~])|(?<=:)(?=[a-z])", "\u2060", text)
    text = re.sub(r"([\\`*_{}\[\]()<>#+\-.!|~$:&])", r"\\\1", text)
    # and addresses become links by themselves
    return re.sub(r"(?i)(www|ftp|https?|mailto|@)", "\\1\u2060", text)
