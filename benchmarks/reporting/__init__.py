"""Turn numbers into documents: tables, figures and pages."""
