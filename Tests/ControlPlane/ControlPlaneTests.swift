// Placeholder head of the tests.
