"""The built module, driven without a proxy."""
