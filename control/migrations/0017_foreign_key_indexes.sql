-- An index for every foreign key: without one, a deletion reads the whole table that refers to what is deleted.

CREATE INDEX captions_participant ON captions (participant_id);
CREATE INDEX consents_participant ON consents (participant_id);
CREATE INDEX invitations_creator ON invitations (created_by) WHERE created_by IS NOT NULL;
CREATE INDEX lobby_entries_meeting ON lobby_entries (meeting_id);
CREATE INDEX lobby_entries_user ON lobby_entries (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX media_files_meeting ON media_files (meeting_id) WHERE meeting_id IS NOT NULL;
CREATE INDEX media_streams_participant ON media_streams (participant_id);
CREATE INDEX meeting_participants_of_main ON meeting_participants (main_id) WHERE main_id IS NOT NULL;
CREATE INDEX passkey_challenges_user ON passkey_challenges (user_id) WHERE user_id IS NOT NULL;
CREATE INDEX recording_links_creator ON recording_links (created_by);
CREATE INDEX signaling_messages_participant ON signaling_messages (participant_id);
CREATE INDEX signaling_messages_recipient ON signaling_messages (recipient_id) WHERE recipient_id IS NOT NULL;
CREATE INDEX signaling_sessions_participant ON signaling_sessions (participant_id);
CREATE INDEX signed_links_creator ON signed_links (created_by);
