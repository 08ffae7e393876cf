"""What a room holds, drawn and written in the formats of others.

Nothing here knows a socket, a clock or a log. It runs in the export worker,
because the documents come from anybody.
"""
