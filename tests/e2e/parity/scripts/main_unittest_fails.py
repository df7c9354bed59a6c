"""``unittest.main()`` exits with 1 when a test fails, and shows the failing line."""

import unittest


class Sums(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(1 + 1, 3, "of no use")

    def test_raises(self):
        {}["key"]


unittest.main()
