"""The chapters: ``chainrule notebooks`` copies them, and reads this folder's files by this
name."""
