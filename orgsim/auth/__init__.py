"""Who may call the org: sessions and the OAuth flows that make them."""
