"""Telephony: phones join meetings through SIP, as participants of the kind `phone`."""
