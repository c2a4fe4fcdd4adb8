-- The stored relationships: who stands in which relation to what. An empty subject_relation is the subject itself.
CREATE TABLE authz.relationship (
  object_type text COLLATE "C" NOT NULL,
  object_id text COLLATE "C" NOT NULL,
  relation text COLLATE "C" NOT NULL,
  subject_type text COLLATE "C" NOT NULL,
  subject_id text COLLATE "C" NOT NULL,
  subject_relation text COLLATE "C" NOT NULL,
  PRIMARY KEY (object_type, object_id, relation, subject_type, subject_id, subject_relation)
);

CREATE INDEX relationship_by_subject
  ON authz.relationship (subject_type, subject_id, subject_relation, object_type, relation);

-- Grows by one with every change; its row is the lock that puts changes in order.
CREATE TABLE authz.revision (
  only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  value bigint NOT NULL
);
INSERT INTO authz.revision (value) VALUES (0);

-- What the contracts of services declare, kept for the time when a service is away. In the order they were learnt.
CREATE TABLE authz.model (
  service text COLLATE "C" PRIMARY KEY,
  contract_hash text NOT NULL,
  -- switchboard.policy.v1.AuthorizationModel
  model bytea NOT NULL,
  learn_order bigint GENERATED ALWAYS AS IDENTITY
);

GRANT SELECT, INSERT, DELETE ON authz.relationship TO authz;
GRANT SELECT, UPDATE ON authz.revision TO authz;
GRANT SELECT, INSERT, UPDATE ON authz.model TO authz;
