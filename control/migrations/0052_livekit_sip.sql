-- LiveKit's SIP service: trunks and dispatch rules, and what its calls need in addition.

-- `sealed` is the protobuf message that describes the trunk or the rule, encrypted because of its password.
CREATE TABLE livekit_sip (
    id text PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('inbound', 'outbound', 'rule')),
    sealed text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

-- `application` has identity, metadata and attributes of an application's call; `sealed_order` is how to place it.
-- `status` is the SIP status that refused a call. `transfer_order` is the URI to transfer it to, with headers.
ALTER TABLE phone_calls
    ADD COLUMN application jsonb,
    ADD COLUMN sealed_order text NOT NULL DEFAULT '',
    ADD COLUMN status integer NOT NULL DEFAULT 0,
    ADD COLUMN transfer text NOT NULL DEFAULT '',
    ADD COLUMN transfer_order jsonb,
    ADD COLUMN transfer_status integer NOT NULL DEFAULT 0;
