"""The folder where releases are made: documents that wait for signatures, those
that have them, and the files that they speak of. It holds no private key.

    metadata/N.ROLE.json      signed by as many as must
    pending/ROLE.json         waiting for signatures
    targets/CHANNEL/SHA256.NAME
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import (
    DelegatedRole,
    Delegations,
    Metadata,
    Root,
    Targets,
)

from mosaic.release.errors import ReleaseRefused
from mosaic.release.files import write_whole
from mosaic.release.roles import (
    ROOT,
    SNAPSHOT,
    TARGETS,
    TIMESTAMP,
    Document,
    channels_of,
    check_root,
    check_signed,
    expiry,
    latest_in,
    read_document,
)
from mosaic.workspace.releases import ReleaseError, check_channel

YEARLY_DAYS = 365.0
CHANNEL_DAYS = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ceremony:
    """Who may sign what. Thresholds: how many of the keys must; one of a
    channel's, unless channel_thresholds says otherwise."""

    root: Sequence[SSlibKey]
    targets: Sequence[SSlibKey]
    channels: Mapping[str, Sequence[SSlibKey]]
    snapshot: SSlibKey
    timestamp: SSlibKey
    root_threshold: int = 2
    targets_threshold: int = 1
    channel_thresholds: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A document that waits. have and want: signatures; keys: ids of the missing."""

    role: str
    version: int
    have: int
    want: int
    keys: list[str] = field(default_factory=list)


class Workshop:
    """now: Unix seconds, for expiry dates."""

    def __init__(self, folder: Path, *, now: float) -> None:
        self.folder = folder
        self.metadata = folder / "metadata"
        self.pending = folder / "pending"
        self.targets = folder / "targets"
        self._now = now

    # -- the ceremony

    def begin(self, ceremony: Ceremony) -> None:
        """Write the first documents, for signature. Raises ReleaseRefused."""
        if self.newest(ROOT) is not None:
            raise ReleaseRefused(f"{self.folder} has been begun already")
        _check_threshold("root", ceremony.root, ceremony.root_threshold)
        _check_threshold("targets", ceremony.targets, ceremony.targets_threshold)
        root = Root(expires=expiry(self._now, YEARLY_DAYS), consistent_snapshot=True)
        for role, keys in (
            (ROOT, ceremony.root),
            (TARGETS, ceremony.targets),
            (SNAPSHOT, [ceremony.snapshot]),
            (TIMESTAMP, [ceremony.timestamp]),
        ):
            for key in keys:
                root.add_key(key, role)
        root.roles[ROOT].threshold = ceremony.root_threshold
        root.roles[TARGETS].threshold = ceremony.targets_threshold
        targets = Targets(
            expires=expiry(self._now, YEARLY_DAYS),
            delegations=Delegations(keys={}, roles={}),
        )
        for channel, keys in ceremony.channels.items():
            threshold = ceremony.channel_thresholds.get(channel, 1)
            _delegate(targets, channel, keys, threshold)
            self.keep(channel, Metadata(self._empty_channel()))
        self.keep(TARGETS, Metadata(targets))
        self.keep(ROOT, Metadata(root))

    def _empty_channel(self) -> Targets:
        return Targets(expires=expiry(self._now, CHANNEL_DAYS))

    # -- signatures

    def sign(self, signer: CryptoSigner) -> list[Waiting]:
        """Sign all that waits for this key; what those documents still want.

        Raises ReleaseRefused if nothing does.
        """
        keyid = signer.public_key.keyid
        signed: list[Waiting] = []
        for role in self.pending_roles():
            document = read_document(self.pending / f"{role}.json")
            if keyid not in self._keys_for(role):
                continue
            document.sign(signer, append=True)
            self.keep(role, document)
            signed.append(self._waiting(role, document))
        if not signed:
            waiting = ", ".join(
                f"{one.role} for {' or '.join(key[:8] for key in one.keys)}"
                for one in self.waiting()
            )
            raise ReleaseRefused(
                f"nothing waits for the key {keyid[:8]}; "
                + (f"waiting: {waiting}" if waiting else "nothing waits at all")
            )
        self._put_away()
        return signed

    def waiting(self) -> list[Waiting]:
        """What waits for signatures."""
        return [
            self._waiting(role, read_document(self.pending / f"{role}.json"))
            for role in self.pending_roles()
        ]

    def pending_roles(self) -> list[str]:
        """Root first, for it says who signs the others."""
        found = {path.stem for path in self.pending.glob("*.json")}
        first = [role for role in (ROOT, TARGETS) if role in found]
        return [*first, *sorted(found - set(first))]

    def _waiting(self, role: str, document: Document) -> Waiting:
        payload, signatures = document.signed_bytes, document.signatures
        if role == ROOT:
            root = cast("Root", document.signed)
            before = latest_in(self.metadata, ROOT)
            both = root.get_root_verification_result(
                None if before is None else before.signed, payload, signatures
            )
            have, missing = len(both.signed), both.unsigned
            want = have + max(both.first.missing, both.second.missing)
        else:
            result = self._delegator(role).signed.get_verification_result(
                role, payload, signatures
            )
            have, want, missing = len(result.signed), result.threshold, result.unsigned
        return Waiting(
            role=role,
            version=document.signed.version,
            have=have,
            want=want,
            keys=sorted(missing),
        )

    def _keys_for(self, role: str) -> set[str]:
        if role != ROOT:
            delegator = self._delegator(role).signed
            return set(delegator.get_delegated_role(role).keyids)
        before = latest_in(self.metadata, ROOT)
        roots = [
            read_document(self.pending / "root.json"),
            *([before] if before else []),
        ]
        return {key for root in roots for key in root.signed.roles[ROOT].keyids}

    def _delegator(self, role: str) -> Document:
        document = self.newest(ROOT if role == TARGETS else TARGETS)
        if document is None:
            raise ReleaseRefused(f"{self.folder} is no release folder: `release init`")
        return document

    def _put_away(self) -> None:
        """Move what has its signatures to the finished ones."""
        for role in self.pending_roles():
            file = self.pending / f"{role}.json"
            document = read_document(file)
            try:
                if role == ROOT:
                    check_root(latest_in(self.metadata, ROOT), document)
                else:
                    check_signed(self._delegator(role), role, document)
            except ReleaseRefused:
                continue
            name = f"{document.signed.version}.{role}.json"
            write_whole(self.metadata / name, document.to_bytes())
            file.unlink()

    # -- changes

    def renew(self, role: str, *, days: float) -> None:
        """The same again with a later expiry, for signature."""
        self.keep(role, self.draft(role, days))

    def rotate(
        self, role: str, *, add: Iterable[SSlibKey], remove: Iterable[str]
    ) -> None:
        """Change who may sign as a role, for signature.

        remove: key ids or their beginnings, as `status` shows them. Raises
        ReleaseRefused.
        """
        above = ROOT if role in {ROOT, TARGETS, SNAPSHOT, TIMESTAMP} else TARGETS
        document = self.draft(above, YEARLY_DAYS)
        delegator: Root | Targets = document.signed
        try:
            for key in add:
                delegator.add_key(key, role)
            known = list(delegator.get_delegated_role(role).keyids)
            for beginning in remove:
                found = [
                    key for key in known if beginning and key.startswith(beginning)
                ]
                if len(found) != 1:
                    raise ReleaseRefused(f"{role} has no one key {beginning}")
                delegator.revoke_key(found[0], role)
            changed = delegator.get_delegated_role(role)
        except ValueError as error:
            raise ReleaseRefused(f"there is no role {role}") from error
        if len(changed.keyids) < changed.threshold:
            raise ReleaseRefused(
                f"{role} would have {len(changed.keyids)} keys, and "
                f"{changed.threshold} must sign: add one in the same step"
            )
        self.keep(above, document)
        if role == TARGETS or above == TARGETS:
            self.renew(role, days=YEARLY_DAYS if role == TARGETS else CHANNEL_DAYS)

    def add_channel(
        self, channel: str, keys: Sequence[SSlibKey], threshold: int
    ) -> None:
        """One more channel, for signature. Raises ReleaseRefused."""
        document = self.draft(TARGETS, YEARLY_DAYS)
        if channel in channels_of(document):
            raise ReleaseRefused(f"there is a channel {channel}")
        _delegate(cast("Targets", document.signed), channel, keys, threshold)
        self.keep(TARGETS, document)
        self.keep(channel, Metadata(self._empty_channel()))

    # -- what there is

    def channels(self) -> list[str]:
        """The names of the channels."""
        targets = self.newest(TARGETS)
        return [] if targets is None else channels_of(targets)

    # -- drafts

    def draft(self, role: str, days: float) -> Document:
        """What waits, or the version after the newest; without signatures."""
        file = self.pending / f"{role}.json"
        if file.exists():
            document = read_document(file)
        else:
            newest = latest_in(self.metadata, role)
            if newest is None:
                known = ", ".join(self.channels()) or "none; `release init` first"
                raise ReleaseRefused(f"there is no {role}; channels: {known}")
            document = newest
            document.signed.version += 1
        document.signatures.clear()
        document.signed.expires = expiry(self._now, days)
        return document

    def newest(self, role: str) -> Document | None:
        """What waits, or the newest that is signed."""
        file = self.pending / f"{role}.json"
        return read_document(file) if file.exists() else latest_in(self.metadata, role)

    def keep(self, role: str, document: Metadata[Any]) -> None:
        """Let it wait for signatures."""
        write_whole(self.pending / f"{role}.json", document.to_bytes())


def _check_threshold(role: str, keys: Sequence[SSlibKey], threshold: int) -> None:
    if not 1 <= threshold <= len({key.keyid for key in keys}):
        raise ReleaseRefused(
            f"{role}: {threshold} must sign, and there are {len(keys)} keys"
        )


def _delegate(
    targets: Targets, channel: str, keys: Sequence[SSlibKey], threshold: int
) -> None:
    try:
        check_channel(channel)
    except ReleaseError as error:
        raise ReleaseRefused(str(error)) from error
    _check_threshold(channel, keys, threshold)
    assert targets.delegations is not None
    assert targets.delegations.roles is not None
    targets.delegations.roles[channel] = DelegatedRole(
        channel, [], threshold, terminating=True, paths=[f"{channel}/*"]
    )
    for key in keys:
        targets.add_key(key, channel)
