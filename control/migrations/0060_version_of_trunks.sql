-- The number of the latest change of trunks and rules of LiveKit's SIP service, so that they are read only after changes.
CREATE TABLE livekit_sip_version (
    single boolean PRIMARY KEY DEFAULT true CHECK (single),
    version bigint NOT NULL
);
CREATE FUNCTION livekit_sip_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO livekit_sip_version (version) VALUES (1)
        ON CONFLICT (single) DO UPDATE SET version = livekit_sip_version.version + 1;
    RETURN NULL;
END
$$;
CREATE TRIGGER livekit_sip_version AFTER INSERT OR UPDATE OR DELETE ON livekit_sip
    FOR EACH STATEMENT EXECUTE FUNCTION livekit_sip_changed();
