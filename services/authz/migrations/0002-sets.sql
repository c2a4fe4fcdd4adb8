-- A check of one subject reads a relation's sets and nothing of its many single subjects.
CREATE INDEX relationship_sets ON authz.relationship (object_type, object_id, relation) WHERE subject_relation <> '';
