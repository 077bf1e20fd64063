"""From numbers to documents: tables, figures, pages."""
