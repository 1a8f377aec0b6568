"""Claims of web guides, judged by what one machine measured."""
