"""What is kept in files: their one form of Parquet."""
