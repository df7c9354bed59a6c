"""Ends the processes that commands leave behind, even when fastrun is killed."""
