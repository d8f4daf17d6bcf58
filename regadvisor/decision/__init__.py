"""From the finished walk to claims, ties and what would flip them."""
