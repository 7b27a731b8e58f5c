"""The built-in checks, a file per question; they are found by entry point, never imported here."""
