"""What is wrong or unwise in a manifest, told before it is applied: one rule, one documented code."""
