"""Python snippets in threads of this process."""
