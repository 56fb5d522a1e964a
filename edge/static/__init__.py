"""Static files: the parts that know no exchange and no connection."""
