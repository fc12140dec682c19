"""The tabs of the page, composed of panels."""
