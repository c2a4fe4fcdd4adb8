-- Requests are compared whole, passwords included; a plain hash would let whoever reads the table try passwords.
COMMENT ON COLUMN stored_answer.request_hash IS
  'HMAC-SHA-256 over the request without its request_id, under a key derived from the service''s secret';
