import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { leafHash, MerkleTree, nodeHash } from "./merkle.ts";

/** The definition of RFC 6962, section 2.1, as it is written there. */
function definition(leaves: readonly Uint8Array[]): Buffer {
  if (leaves.length === 0) return new MerkleTree().root();
  if (leaves.length === 1) return leafHash(leaves[0] ?? assert.fail());
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(definition(leaves.slice(0, split)), definition(leaves.slice(split)));
}

function grown(leaves: readonly Uint8Array[]): MerkleTree {
  const tree = new MerkleTree();
  for (const leaf of leaves) tree.append(leafHash(leaf));
  return tree;
}

describe("the Merkle tree", () => {
  // The leaves and roots that the Certificate Transparency implementations test themselves with.
  const leaves = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
  const roots = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
  ];
  for (const [size, root] of roots.entries()) {
    test(`has the known root of ${size} leaves`, () => {
      const tree = grown(leaves.slice(0, size).map((leaf) => Buffer.from(leaf, "hex")));
      assert.equal(tree.root().toString("hex"), root);
      assert.equal(tree.size, size);
    });
  }

  const anyLeaves = fc.array(fc.uint8Array({ maxLength: 8 }), { maxLength: 70 });

  test("has the root that the definition gives", () => {
    fc.assert(fc.property(anyLeaves, (some) => assert.deepEqual(grown(some).root(), definition(some))));
  });

  test("goes on from its edge as if it had never stopped", () => {
    fc.assert(
      fc.property(anyLeaves, anyLeaves, (before, after) => {
        const stopped = grown(before);
        const resumed = new MerkleTree(stopped.size, stopped.edge());
        for (const leaf of after) resumed.append(leafHash(leaf));
        assert.deepEqual(resumed.root(), definition([...before, ...after]));
      }),
    );
  });

  test("refuses an edge of another size", () => {
    const tree = grown([Buffer.of(1), Buffer.of(2), Buffer.of(3)]);
    assert.throws(() => new MerkleTree(4, tree.edge()), RangeError);
    assert.throws(() => new MerkleTree(3, tree.edge().subarray(1)), RangeError);
  });
});
