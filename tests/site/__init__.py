"""The book as it was built; without it (`sphinx-build docs build/docs`, extra [docs]) these tests are skipped."""
