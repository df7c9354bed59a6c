"""Tests of the word count."""

import unittest

from words import count


class Counting(unittest.TestCase):
    def test_case_does_not_matter(self) -> None:
        self.assertEqual(count("Tea and tea")["tea"], 2)

    def test_no_text_has_no_words(self) -> None:
        self.assertEqual(count(""), {})
