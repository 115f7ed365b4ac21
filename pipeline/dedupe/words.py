"""How twins are found, in words for the people who see them. Loads nothing."""

from __future__ import annotations

NORMALISATION = (
    "Before texts are compared they are put into one form (Unicode NFKC), capitals and small letters are made alike, and all "
    "that is neither letter nor digit becomes a gap between words. A text without any letter or digit is compared as it is, "
    "without regard to blanks. Characters of writing systems that put no gaps between words each count as a word.")
"""What two texts may differ in and still be exact copies, in words for people."""

SHORT_TEXTS = (
    "Near twins share most of their runs of three words. A text of one or two words is a single run, so only its exact copies "
    "are its twins; in a text of ten words, one other word in the middle leaves a similarity of 0.45. Short questions are "
    "better compared by meaning.")
"""What near twins are for short texts, in words for people."""

CROWDS = (
    "Texts that follow one pattern meet in crowds. In a crowd each text is compared with a few of the others, not with all, "
    "and of each text the 20 best pairs are kept, with those that hold groups together. What was not compared is counted.")
"""How very large groups are kept bounded, in words for people."""
