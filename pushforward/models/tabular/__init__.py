"""Models of tables with mixed columns: margins, copulas, mixtures and networks."""
