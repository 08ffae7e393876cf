"""Namespaces and status codes of rooms."""

from __future__ import annotations

from enum import IntEnum

NS_MUC = "http://jabber.org/protocol/muc"
NS_MUC_USER = "http://jabber.org/protocol/muc#user"
NS_MUC_ADMIN = "http://jabber.org/protocol/muc#admin"
NS_MUC_OWNER = "http://jabber.org/protocol/muc#owner"
NS_MUC_CONFIG = "http://jabber.org/protocol/muc#roomconfig"
NS_MUC_INFO = "http://jabber.org/protocol/muc#roominfo"
NS_MUC_REQUEST = "http://jabber.org/protocol/muc#request"
NS_SELF_PING = "http://jabber.org/protocol/muc#self-ping-optimization"
NS_STABLE_ID = "http://jabber.org/protocol/muc#stable_id"
NS_CONFERENCE = "jabber:x:conference"
NS_DELAY = "urn:xmpp:delay"
NS_FORWARD = "urn:xmpp:forward:0"
NS_HINTS = "urn:xmpp:hints"
NS_MAM = "urn:xmpp:mam:2"
NS_MAM_EXTENDED = "urn:xmpp:mam:2#extended"
NS_MODERATE = "urn:xmpp:message-moderate:1"
NS_OCCUPANT_ID = "urn:xmpp:occupant-id:0"
NS_REACTIONS = "urn:xmpp:reactions:0"
NS_REPLACE = "urn:xmpp:message-correct:0"
NS_RETRACT = "urn:xmpp:message-retract:1"
NS_RSM = "http://jabber.org/protocol/rsm"
NS_SID = "urn:xmpp:sid:0"


class Status(IntEnum):
    """Status codes (XEP-0045 section 15.6)."""

    REAL_ADDRESSES = 100
    CONFIGURATION_CHANGED = 104
    SELF = 110
    LOGGED = 170
    CREATED = 201
    NICK_ASSIGNED = 210
    BANNED = 301
    NICK_CHANGED = 303
    KICKED = 307
    AFFILIATION_LOST = 321
    SHUTDOWN = 332
    ERROR = 333
