-- Wrong passwords of late, for each thing that they are counted by; what that is, its hash does not tell.
CREATE TABLE auth.failed_tries (
  counter text COLLATE "C" PRIMARY KEY,
  -- A bucket that leaks: every wrong password moves it on by a window's share, and when it has come the count is none.
  empty_time timestamptz NOT NULL
);
CREATE INDEX failed_tries_by_empty_time ON auth.failed_tries (empty_time);

-- Where an account's sessions were opened from: wrong passwords from elsewhere keep nobody out who comes from there.
CREATE TABLE auth.known_network (
  user_id uuid NOT NULL REFERENCES auth.account ON DELETE CASCADE,
  -- An IPv4 address, or an IPv6 prefix of 48 bits.
  network text COLLATE "C" NOT NULL,
  sign_in_time timestamptz NOT NULL,
  PRIMARY KEY (user_id, network)
);
CREATE INDEX known_network_by_sign_in_time ON auth.known_network (sign_in_time);

GRANT SELECT, INSERT, UPDATE, DELETE ON auth.failed_tries, auth.known_network TO auth;
