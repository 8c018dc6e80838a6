//! Images, video, voice and music: requests for generated media and recordings.

mod edit_image;
mod generate_image;
mod generate_music;
mod generate_video;
mod generate_voice;
mod image_to_image;
mod image_to_video;
mod image_upscale;
mod item;
mod listen_voice;
mod request;
pub(crate) mod result;
mod text_to_video;
mod transcribe_audio;
mod upscale_image;

use ag_visualflow::node::NodeType;

/// The node types of this family.
pub(crate) const NODES: &[NodeType] = &[
    generate_image::NODE,
    edit_image::NODE,
    image_to_image::NODE,
    upscale_image::NODE,
    image_upscale::NODE,
    generate_video::NODE,
    text_to_video::NODE,
    image_to_video::NODE,
    generate_voice::NODE,
    generate_music::NODE,
    transcribe_audio::NODE,
    listen_voice::NODE,
];
