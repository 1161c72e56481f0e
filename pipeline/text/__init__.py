"""Text: words, their numbers, and rows of them; `headrace.text` names what is public."""
