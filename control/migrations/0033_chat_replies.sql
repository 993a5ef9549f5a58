-- What a chat message answers, and the uploaded file that goes with it.

ALTER TABLE signaling_messages ADD COLUMN reply_to text;
ALTER TABLE signaling_messages ADD COLUMN file text;
