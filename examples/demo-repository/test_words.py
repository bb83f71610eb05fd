import unittest

from words import count_words


class CountWords(unittest.TestCase):
    def test_counts_each_word(self):
        self.assertEqual(count_words("to be or not to be"), {"to": 2, "be": 2, "or": 1, "not": 1})

    def test_ignores_case(self):
        self.assertEqual(count_words("Be be BE"), {"be": 3})

    def test_nothing_is_nothing(self):
        self.assertEqual(count_words(""), {})


if __name__ == "__main__":
    unittest.main()
