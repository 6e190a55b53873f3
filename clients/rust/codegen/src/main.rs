//! Writes what `rerank-client` generates: messages and stubs from the protos, and for its tests
//! the descriptors. Called by `../generate`.

use std::error::Error;
use std::path::{Path, PathBuf};

use prost::Message;

const PACKAGE: &str = "rerank.v1";

fn main() -> Result<(), Box<dyn Error>> {
    let client = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let protos = client.join("../../protos");

    let descriptors = protox::Compiler::new([&protos])?
        .include_imports(true)
        .include_source_info(true)
        .open_files(proto_files(&protos.join("rerank/v1"))?)?
        .file_descriptor_set();

    tonic_prost_build::configure()
        .out_dir(client.join("src/gen"))
        // Connecting is what `transport` does.
        .build_transport(false)
        // By its package: as a path of a field or a type.
        .server_mod_attribute(".", "#[cfg(feature = \"server\")]")
        .compile_fds(descriptors.clone())?;

    std::fs::write(
        client.join(format!("tests/support/{PACKAGE}.binpb")),
        without_comments(descriptors).encode_to_vec(),
    )?;
    Ok(())
}

/// Returns every proto in a folder, sorted, so that the same protos give the same bytes.
fn proto_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = std::fs::read_dir(folder)?
        .map(|entry| Ok(entry?.path()))
        .collect::<std::io::Result<Vec<_>>>()?;
    files.retain(|file| {
        file.extension()
            .is_some_and(|extension| extension == "proto")
    });
    files.sort();
    Ok(files)
}

/// Takes out comments and places, which would be most of the bytes.
fn without_comments(
    mut descriptors: prost_types::FileDescriptorSet,
) -> prost_types::FileDescriptorSet {
    for file in &mut descriptors.file {
        file.source_code_info = None;
    }
    descriptors
}
