-- When each word of a caption was said: [["Good", 0, 220], [" morning", 220, 640]], in milliseconds since its start. Null if unknown.
ALTER TABLE captions ADD COLUMN words jsonb;
