-- Where nodes were reached last: asked by a control process that etcd tells nothing of them.
CREATE TABLE node_addresses (
    node text PRIMARY KEY,
    record jsonb NOT NULL,
    seen_at timestamptz NOT NULL DEFAULT now()
);
