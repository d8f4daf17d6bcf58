"""Pictures of an advice, drawn with matplotlib; it is imported when a picture is asked for."""
