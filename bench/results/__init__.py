"""What stored results say: the table, boards, comparisons, ranks."""
