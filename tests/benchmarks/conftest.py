"""Nothing in this folder is a test: pytest leaves it alone, doctests included."""

collect_ignore_glob = ["*"]
