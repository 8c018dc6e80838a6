//! A scripted maker of media: every port, one answer for all.

use async_trait::async_trait;
use bytes::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use crate::error::ProviderError;
use crate::media::{
    ImageRequest, MediaReply, MusicRequest, SpeechReply, SpeechRequest, TranscribeRequest, Transcript,
    UpscaleRequest, VideoRequest,
};
use crate::ports::{ImageModel, MusicModel, ProgressSink, SpeechModel, Transcriber, Upscaler, VideoModel};

/// What was asked of a [`FakeMedia`].
#[derive(Clone, Debug)]
pub enum MediaAsked {
    /// Pictures.
    Image(ImageRequest),
    /// A larger picture.
    Upscale(UpscaleRequest),
    /// Videos.
    Video(VideoRequest),
    /// Music.
    Music(MusicRequest),
    /// Speech.
    Speech(SpeechRequest),
    /// A transcript.
    Transcribe(TranscribeRequest),
}

/// Answers every request with its own bytes, after two reports of progress where there are any.
#[derive(Debug, Default)]
pub struct FakeMedia {
    asked: Mutex<Vec<MediaAsked>>,
    hang: bool,
}

impl FakeMedia {
    /// One that never answers and ends when cancelled.
    #[must_use]
    pub fn hanging() -> Self {
        Self {
            hang: true,
            ..Self::default()
        }
    }

    /// Requests so far.
    pub fn asked(&self) -> Vec<MediaAsked> {
        self.asked.lock().clone()
    }

    async fn note(&self, asked: MediaAsked, cancel: &CancellationToken) -> Result<usize, ProviderError> {
        let count = {
            let mut all = self.asked.lock();
            all.push(asked);
            all.len()
        };
        if self.hang {
            cancel.cancelled().await;
            return Err(ProviderError::Cancelled);
        }
        Ok(count)
    }

    fn pieces(count: u32, content_type: &str, progress: ProgressSink<'_>) -> Vec<MediaReply> {
        for step in 1..=2 {
            if let serde_json::Value::Object(report) = json!({"step": step, "total_steps": 2}) {
                progress(report);
            }
        }
        let piece = |n: u32| MediaReply {
            data: Bytes::from(format!("{content_type} {n}")),
            content_type: content_type.to_owned(),
            revised_prompt: None,
            sent_as: Some("b64_json"),
        };
        (1..=count.max(1)).map(piece).collect()
    }
}

#[async_trait]
impl ImageModel for FakeMedia {
    async fn image(
        &self,
        req: ImageRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let count = req.count;
        self.note(MediaAsked::Image(req), &cancel).await?;
        Ok(Self::pieces(count, "image/png", progress))
    }
}

#[async_trait]
impl Upscaler for FakeMedia {
    async fn upscale(
        &self,
        req: UpscaleRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        self.note(MediaAsked::Upscale(req), &cancel).await?;
        Ok(Self::pieces(1, "image/png", progress))
    }
}

#[async_trait]
impl VideoModel for FakeMedia {
    async fn video(
        &self,
        req: VideoRequest,
        progress: ProgressSink<'_>,
        cancel: CancellationToken,
    ) -> Result<Vec<MediaReply>, ProviderError> {
        let count = req.count;
        self.note(MediaAsked::Video(req), &cancel).await?;
        Ok(Self::pieces(count, "video/mp4", progress))
    }
}

#[async_trait]
impl MusicModel for FakeMedia {
    async fn music(&self, req: MusicRequest, cancel: CancellationToken) -> Result<MediaReply, ProviderError> {
        self.note(MediaAsked::Music(req), &cancel).await?;
        Ok(MediaReply {
            data: Bytes::from_static(b"music"),
            content_type: "application/octet-stream".to_owned(),
            ..MediaReply::default()
        })
    }
}

#[async_trait]
impl SpeechModel for FakeMedia {
    async fn speak(
        &self,
        req: SpeechRequest,
        cancel: CancellationToken,
    ) -> Result<SpeechReply, ProviderError> {
        self.note(MediaAsked::Speech(req), &cancel).await?;
        Ok(SpeechReply {
            data: Bytes::from_static(b"speech"),
            content_type: "audio/mpeg".to_owned(),
        })
    }
}

#[async_trait]
impl Transcriber for FakeMedia {
    async fn transcribe(
        &self,
        req: TranscribeRequest,
        cancel: CancellationToken,
    ) -> Result<Transcript, ProviderError> {
        let text = format!("heard {} bytes", req.file.data.len());
        self.note(MediaAsked::Transcribe(req), &cancel).await?;
        Ok(Transcript { text })
    }
}
