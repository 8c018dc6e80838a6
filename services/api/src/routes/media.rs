//! Media made for a run while the client waits (media contract).
//!
//! Each operation starts a child run that makes one model call ([`call`]) and answers with the artifacts it left. The
//! work goes on when the client gives up.

mod answer;
mod call;
mod images;
mod music;
mod options;
mod source;
#[cfg(test)]
mod tests;
mod videos;
mod voice;

use crate::operation::ops;

ops! {
    /// Generated media.
    pub(super) const MEDIA: "media" = {
        POST "/api/gateway/runs/{run_id}/voice/tts" voice::speak_text "Speaks a text and stores the recording.";
        POST "/api/gateway/runs/{run_id}/audio/transcribe" voice::transcribe_audio "Writes a recording down.";
        POST "/api/gateway/runs/{run_id}/images/generate" images::generate_images "Makes images from a text.";
        POST "/api/gateway/runs/{run_id}/images/edit" images::edit_image "Changes an image as a text says.";
        POST "/api/gateway/runs/{run_id}/images/upscale" images::upscale_image "Enlarges or restores an image.";
        POST "/api/gateway/runs/{run_id}/videos/generate" videos::generate_videos "Makes videos from a text.";
        POST "/api/gateway/runs/{run_id}/videos/from_image" videos::generate_videos_from_image
            "Makes videos that begin with an image.";
        POST "/api/gateway/runs/{run_id}/music/generate" music::generate_music "Makes music or sounds from a text.";
    }
}
