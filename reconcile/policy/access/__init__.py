"""Who reaches what: answers, differences, and their causes."""
