// Placeholder head of the module until its parts arrive.
