"""``unittest.main()`` finds the tests of the script and exits with 0 when they pass."""

import unittest


class Sums(unittest.TestCase):
    def test_adds(self):
        self.assertEqual(1 + 1, 2)

    @unittest.skip("for the count")
    def test_skipped(self):
        raise AssertionError


if __name__ == "__main__":
    unittest.main()
