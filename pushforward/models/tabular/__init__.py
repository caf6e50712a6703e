"""Models of tables with mixed columns: margins, copulas and mixtures."""
